# Messages of engine/*.proto, generated into the build folder and compiled as they come: the
# generator's code is not ours to hold to our warnings.
find_program(PROTOC_C protoc-c)
mark_as_advanced(PROTOC_C)
if(NOT PROTOC_C)
  message(FATAL_ERROR "program 'protoc-c' is missing: run ./scripts/setup")
endif()

set(generated ${CMAKE_BINARY_DIR}/generated)
set(proto_sources "")
foreach(name pprof)
  set(out ${generated}/engine/${name}.pb-c)
  add_custom_command(
    OUTPUT ${out}.c ${out}.h
    COMMAND ${CMAKE_COMMAND} -E make_directory ${generated}
    COMMAND ${PROTOC_C} --proto_path=${CMAKE_SOURCE_DIR} --c_out=${generated}
            ${CMAKE_SOURCE_DIR}/engine/${name}.proto
    DEPENDS ${CMAKE_SOURCE_DIR}/engine/${name}.proto
    COMMENT "Messages of ${name}.proto"
    VERBATIM)
  list(APPEND proto_sources ${out}.c ${out}.h)
endforeach()

add_library(hearth_proto STATIC ${proto_sources})
target_include_directories(hearth_proto SYSTEM PUBLIC ${generated})
target_link_libraries(hearth_proto PUBLIC dep::protobuf-c)
target_link_libraries(hearth_engine PUBLIC hearth_proto) # tests read what was written
