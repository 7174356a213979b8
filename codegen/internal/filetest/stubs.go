package filetest

func (f *file) interpret() {}
