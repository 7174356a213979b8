package filetest

func (f *file) run()                  {}
func (f *file) interpret()            {}
func (f *file) compile(args []string) {}
