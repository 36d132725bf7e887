/* snql_parser.h - the text of a query to its tree.
 *
 * The grammar is in docs/snql.md. Depth, number of nodes and size of the text have ceilings
 * (base/limits.h), so recursion and memory are bounded.
 *
 * Owns:    the tree is in the arena, its texts are views into `text` or the arena.
 * Errors:  ERR_MALFORMED: where, and what was expected there. Texts too long have their own type.
 * Cost:    O(bytes): alternatives are told apart without backtracking over more than a token.
 */
#ifndef HEARTH_ENGINE_SNQL_PARSER_H
#define HEARTH_ENGINE_SNQL_PARSER_H

#include "base/arena.h"
#include "engine/snql_ast.h"
#include "engine/snql_error.h"

enum err snql_parse(struct bytes text, struct arena *arena, struct snql_query **ret,
                    struct snql_error *error) MUST_CHECK;

#endif
