autocmd BufRead,BufNewFile *.clif setfiletype clif
autocmd BufRead,BufNewFile */codegen/*.rules set filetype=davitrules
