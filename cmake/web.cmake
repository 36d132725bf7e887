# The page inside the program: every file of web/ is gzipped at build time and embedded twice, as it
# is and compressed, by one assembler file of .incbin lines; a generated C table says path, type and
# entity tag of each. Nothing but the files' bytes and names goes in: equal input, equal output.
set(web_dir ${CMAKE_BINARY_DIR}/web)
set(web_files index.html app.js flame.js style.css icon.svg)
list(TRANSFORM web_files PREPEND ${CMAKE_SOURCE_DIR}/web/ OUTPUT_VARIABLE web_paths)
find_program(GZIP_PROGRAM gzip REQUIRED)

list(JOIN web_files "," web_names)
add_custom_command(
  OUTPUT ${web_dir}/web_assets.c ${web_dir}/web_assets.S
  COMMAND ${CMAKE_COMMAND} -DFILES=${web_names} -DFROM=${CMAKE_SOURCE_DIR}/web -DTO=${web_dir}
          -DGZIP=${GZIP_PROGRAM} -P ${CMAKE_SOURCE_DIR}/cmake/web_table.cmake
  DEPENDS ${web_paths} ${CMAKE_SOURCE_DIR}/cmake/web_table.cmake
  COMMENT "Embedding the page"
  VERBATIM)

# An object library of its own: the warning flags of C mean nothing to an assembler.
add_library(hearth_web OBJECT ${web_dir}/web_assets.S)
target_compile_options(hearth_web PRIVATE -Wa,-I${web_dir} -ffile-prefix-map=${CMAKE_BINARY_DIR}=build
                       -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
set_source_files_properties(${web_dir}/web_assets.S PROPERTIES OBJECT_DEPENDS ${web_dir}/web_assets.c)
target_sources(hearth_api PRIVATE ${web_dir}/web_assets.c $<TARGET_OBJECTS:hearth_web>)
