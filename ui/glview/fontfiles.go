package glview

import (
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/image/font/opentype"
)

// systemFonts lists files with the scripts that the program's own fonts lack (Chinese, Japanese, Korean), by system, the
// best first. The first of them that is there is used.
var systemFonts = map[string][]string{
	"linux": {
		"/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
		"/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
		"/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc",
		"/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
		"/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
		"/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
	},
	"darwin": {
		"/System/Library/Fonts/PingFang.ttc",
		"/System/Library/Fonts/Hiragino Sans GB.ttc",
		"/System/Library/Fonts/Supplemental/Arial Unicode.ttf",
	},
	"windows": {
		filepath.FromSlash("C:/Windows/Fonts/msyh.ttc"),
		filepath.FromSlash("C:/Windows/Fonts/simsun.ttc"),
		filepath.FromSlash("C:/Windows/Fonts/meiryo.ttc"),
		filepath.FromSlash("C:/Windows/Fonts/malgun.ttf"),
	},
}

// system adds the system's font to f, once. Its file is read as glyphs are drawn and stays open.
func (f *Fonts) system() {
	if f.looked {
		return
	}
	f.looked = true
	for _, path := range systemFonts[runtime.GOOS] {
		file, err := os.Open(path)
		if err != nil {
			continue
		}
		c, err := opentype.ParseCollectionReaderAt(file)
		if err == nil {
			var p *opentype.Font
			if p, err = c.Font(0); err == nil {
				f.fonts = append(f.fonts, p)
				clear(f.faces)
				return
			}
		}
		_ = file.Close() // not a font that we read
	}
}
