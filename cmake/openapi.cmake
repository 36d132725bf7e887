# api/openapi.json inside the program, by one assembler file that names it.
set(openapi_dir ${CMAKE_BINARY_DIR}/openapi)
file(WRITE ${openapi_dir}/openapi.S.in "\
    .section .rodata
    .global hearth_openapi_start
    .global hearth_openapi_end
hearth_openapi_start:
    .incbin \"openapi.json\"
hearth_openapi_end:
    .byte 0
    .section .note.GNU-stack,\"\",%progbits
")
configure_file(${openapi_dir}/openapi.S.in ${openapi_dir}/openapi.S COPYONLY)
add_library(hearth_openapi OBJECT ${openapi_dir}/openapi.S)
target_compile_options(hearth_openapi PRIVATE -Wa,-I${CMAKE_SOURCE_DIR}/api
                       -ffile-prefix-map=${CMAKE_BINARY_DIR}=build)
set_source_files_properties(${openapi_dir}/openapi.S PROPERTIES OBJECT_DEPENDS
                            ${CMAKE_SOURCE_DIR}/api/openapi.json)
target_sources(hearth_api PRIVATE $<TARGET_OBJECTS:hearth_openapi>)
