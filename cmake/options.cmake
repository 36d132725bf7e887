# How everything is compiled. Product code links hearth_strict; tests hearth_relaxed, because
# Criterion's macros do not pass -Wconversion and -Wwrite-strings.
add_library(hearth_relaxed INTERFACE)
target_compile_options(hearth_relaxed INTERFACE
  -Wall -Wextra -Wshadow -Wstrict-prototypes -Wundef -Wvla -Wformat=2 -Wimplicit-fallthrough
  -Wpointer-arith -Werror -fno-omit-frame-pointer -fstack-protector-strong)
target_compile_definitions(hearth_relaxed INTERFACE _GNU_SOURCE)

add_library(hearth_strict INTERFACE)
target_link_libraries(hearth_strict INTERFACE hearth_relaxed)
target_compile_options(hearth_strict INTERFACE
  -Wconversion -Wno-sign-conversion -Wcast-qual -Wwrite-strings -Wmissing-prototypes
  -Wold-style-definition -Wdouble-promotion)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  target_compile_options(hearth_strict INTERFACE -Wlogical-op -Wduplicated-cond -Wduplicated-branches)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  # assertions are compiled out here; what only they look at is no mistake (dev and clang check)
  target_compile_options(hearth_relaxed INTERFACE
    -Wno-unused-parameter -Wno-unused-variable -Wno-unused-but-set-variable -Wno-unused-function)
endif()

# The same sources give the same bytes wherever they are built. The link needs the map too: units
# compiled for link-time optimisation take their folder from it. gcov must find the real paths.
if(HEARTH_COVERAGE)
  add_compile_options(--coverage)
  add_link_options(--coverage)
else()
  set(maps -ffile-prefix-map=${CMAKE_BINARY_DIR}=build -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
  add_compile_options(${maps})
  add_link_options(${maps})
endif()

if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  add_compile_options(-march=x86-64-v2 -fcf-protection -fstack-clash-protection)
endif()
add_link_options(-Wl,-z,relro,-z,now)
if(HEARTH_SANITIZE)
  add_compile_options(-fsanitize=${HEARTH_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${HEARTH_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()
if(HEARTH_SANITIZE STREQUAL "thread" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
  # instrumented code confuses gcc's flow analysis; the other presets keep the warning
  target_compile_options(hearth_relaxed INTERFACE -Wno-maybe-uninitialized)
endif()
