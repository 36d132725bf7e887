/* identity.h - what makes two frames the same: hashes, fingerprints, module-or-package.
 *
 * Source of the rules: vroom 26.7.1, restated in docs/semantics.md.
 */
#ifndef HEARTH_ENGINE_IDENTITY_H
#define HEARTH_ENGINE_IDENTITY_H

#include "base/hash.h"
#include "storage/segment_tables.h"

#define FNV1_BASIS UINT64_C(0xcbf29ce484222325)
/* FNV-1 64 (multiply, then xor), continued from `hash`. */
uint64_t fnv1_continue(uint64_t hash, struct bytes text);
/* Last path element without one library suffix; views into `package`. */
struct bytes trim_package(struct bytes package);
/* module, else trimmed package, else empty. */
struct bytes frame_module_or_package(const struct profile *p, const struct profile_frame *f);
/* Low 32 bits of FNV-1 over module-or-package ":" function. */
uint32_t frame_fingerprint(const struct profile *p, const struct profile_frame *f);
/* One step of the running stack hash, root first. */
uint64_t frame_stack_hash(uint64_t hash, const struct profile *p, const struct profile_frame *f);
/* The own API's identity: (module, else trimmed package, else filename; function; address), 128
 * bits. Lines do not count. */
struct hash128 frame_identity(const struct profile *p, const struct profile_frame *f);
/* What the store asks when it seals frames. */
extern const struct frame_rules engine_frame_rules;
/* MD5 of filename:function:line:address, 32 hex digits and a terminator. */
void frame_id(const struct profile *p, const struct profile_frame *f, char text[33]);
/* Threads in answers: unsigned decimal numbers first, by value, then the others by bytes. */
int thread_id_compare(struct bytes a, struct bytes b);

#endif
