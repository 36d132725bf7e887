# hearth_plain: the same program without sanitizers, for the tests that measure its memory. Only in
# sanitizer builds; elsewhere `hearth` itself is plain.
set(plain_sources "")
foreach(target hearth_base hearth_storage hearth_engine hearth_api hearth_proto hearth)
  get_target_property(sources ${target} SOURCES)
  list(APPEND plain_sources ${sources})
endforeach()
add_executable(hearth_plain ${plain_sources})
target_include_directories(hearth_plain PRIVATE ${CMAKE_SOURCE_DIR})
target_include_directories(hearth_plain SYSTEM PRIVATE ${CMAKE_BINARY_DIR}/generated)
target_compile_definitions(hearth_plain PRIVATE HEARTH_VERSION="${PROJECT_VERSION}" _GNU_SOURCE NDEBUG)
target_compile_options(hearth_plain PRIVATE -O2 -fno-sanitize=all)
target_link_options(hearth_plain PRIVATE -fno-sanitize=all)
target_link_libraries(hearth_plain PRIVATE dep::xxhash dep::lz4 dep::roaring dep::deflate dep::zlib
  dep::brotlidec dep::zstd dep::md dep::protobuf-c dep::pcre2 dep::utf8proc dep::uv
  dep::llhttp m)
# the linter reads each file once, as it is with its assertions
set_target_properties(hearth_plain PROPERTIES EXPORT_COMPILE_COMMANDS OFF)
