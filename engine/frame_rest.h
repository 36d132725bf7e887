/* frame_rest.h - the fields of a frame that have no column: symbolication results, kept as JSON.
 *
 * Input is `rest` of struct profile_frame: an object text with some of data, lang, status,
 * sym_addr, symbol; or empty.
 */
#ifndef HEARTH_ENGINE_FRAME_REST_H
#define HEARTH_ENGINE_FRAME_REST_H

#include "base/bytes.h"

/* data.symbolicator_status as a JSON string with its quotes; empty when there is none or "". */
struct bytes frame_rest_symbolicator_status(struct bytes rest);
/* The same for `status` alone. */
struct bytes frame_rest_status(struct bytes rest);
/* data.symbolicator_status, else status, is "symbolicated". */
bool frame_rest_is_symbolicated(struct bytes rest);
/* A frame the compiler inlined: symbolicated, without an address of its own symbol. */
bool frame_rest_is_inline(struct bytes rest);

#endif
