package native

import "testing"

// TestData: data and code take turns in the same range, with the right
// protection each time.
func TestData(t *testing.T) {
	supported(t)
	for i := range 20 {
		d, err := NewData(40000)
		if err != nil {
			t.Fatal(err)
		}
		b := d.Bytes()
		for k, v := range b {
			if v != 0 {
				t.Fatalf("round %d: byte %d is %d", i, k, v)
			}
		}
		for k := range b {
			b[k] = byte(k) | 1
		}
		if c, _ := FindCode(d.Base()); c != nil {
			t.Error("data are taken for code")
		}
		if err := d.Seal(); err != nil {
			t.Fatal(err)
		}
		if d.Bytes()[39999] != byte(39999&0xff)|1 {
			t.Error("sealed data have changed")
		}
		d.Free()

		// Code in the same place; every other one in a private view.
		c, err := NewCode(40000)
		if err != nil {
			t.Fatal(err)
		}
		c.Debuggable = i%2 == 0
		text := c.Writable()
		text[0], text[39999] = 0xc3, 0x42
		if err := c.Publish(Tables{Bodies: []Range{{0, 1}}}); err != nil {
			t.Fatal(err)
		}
		if at := bytesAt(c.Base(), 40000); at[0] != 0xc3 || at[39999] != 0x42 {
			t.Errorf("round %d: code is not what was written", i)
		}
		c.Release()
	}
	if _, err := NewData(0); err == nil {
		t.Error("no error for no data")
	}
	if _, err := NewData(codeRange); err == nil {
		t.Error("no error for too much data")
	}
}
