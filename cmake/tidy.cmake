# Targets for the tools that read the source instead of compiling it:
#   format         rewrites C files in the house's form
#   format-check   says which files are not in it
#   tidy           clang-tidy over the rooms, with the warnings of .clang-tidy
set(rooms base storage engine api)
set(sources "")
set(headers "")
foreach(folder ${rooms} tests bench)
  file(GLOB_RECURSE found CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.c)
  list(APPEND sources ${found})
  file(GLOB_RECURSE found CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.h)
  list(APPEND headers ${found})
endforeach()

find_program(CLANG_FORMAT clang-format)
mark_as_advanced(CLANG_FORMAT)
if(CLANG_FORMAT)
  add_custom_target(format COMMAND ${CLANG_FORMAT} -i ${sources} ${headers} VERBATIM)
  add_custom_target(format-check COMMAND ${CLANG_FORMAT} --dry-run -Werror ${sources} ${headers}
                    VERBATIM)
endif()

# The compilation database may be gcc's: clang is told to let unknown warning names pass, and
# warnings are the compilers' business, not the linter's.
find_program(RUN_CLANG_TIDY run-clang-tidy)
mark_as_advanced(RUN_CLANG_TIDY)
if(RUN_CLANG_TIDY)
  list(JOIN rooms "|" alternatives)
  add_custom_target(tidy
    COMMAND ${RUN_CLANG_TIDY} -quiet -p ${CMAKE_BINARY_DIR} -extra-arg=-Wno-unknown-warning-option
            -extra-arg=-Wno-error "^${CMAKE_SOURCE_DIR}/(${alternatives})/"
    USES_TERMINAL VERBATIM)
  add_dependencies(tidy hearth_proto) # its header is generated
endif()
