# Writes OUT: what the console serves, one C array a file of DIR, with its type.
cmake_minimum_required(VERSION 3.25)
set(types html "text/html; charset=utf-8" css "text/css; charset=utf-8"
    js "text/javascript; charset=utf-8" svg "image/svg+xml")
file(GLOB files ${DIR}/*.html ${DIR}/*.css ${DIR}/*.js ${DIR}/*.svg)
list(SORT files)
set(arrays "")
set(table "")
set(number 0)
foreach(file IN LISTS files)
  get_filename_component(name ${file} NAME)
  string(REGEX REPLACE ".*\\." "" ending ${name})
  list(FIND types ${ending} at)
  math(EXPR at "${at} + 1")
  list(GET types ${at} type)
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  string(APPEND arrays
         "static const unsigned char file${number}[] = {${bytes}0};\n")
  string(APPEND table "    {\"/${name}\", \"${type}\", (const char *)file${number}, "
         "sizeof file${number} - 1},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUT}
     "#include \"page.h\"\n\n${arrays}\nconst struct page_file page_files[] = {\n"
     "${table}    {0},\n};\n")
