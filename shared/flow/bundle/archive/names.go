package archive

import (
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
)

// names are the paths already given, so that no two sources share one.
type names map[string]bool

// take returns base, or base with the first number that makes it new.
func (n names) take(base string) string {
	name := base
	for i := 2; n[name]; i++ {
		name = fmt.Sprintf("%s-%d", base, i)
	}
	n[name] = true
	return name
}

// maxName is the longest a path element may be, in bytes.
const maxName = 60

// safe makes one path element of ours out of a word that may come from a
// system: lower-case letters, digits, hyphen, underscore; nothing that climbs,
// hides or has a meaning on some file system.
func safe(word string) string {
	s := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '-', r == '_':
			return r
		case 'A' <= r && r <= 'Z':
			return r + ('a' - 'A')
		}
		return '-'
	}, word)
	s = strings.Trim(s[:min(len(s), maxName)], "-")
	switch {
	case s == "":
		return "other"
	case reserved(s):
		return "x-" + s
	}
	return s
}

// reserved reports device names of Windows.
func reserved(s string) bool {
	if slices.Contains([]string{"con", "prn", "aux", "nul"}, s) {
		return true
	}
	return len(s) == 4 && (s[:3] == "com" || s[:3] == "lpt")
}

// endings are those that a file may keep: the ones a program shows and does
// not run. Markup, scripts and programs become .bin.
var endings = map[string]bool{ // value: compressed already
	"pdf": true, "jpg": true, "jpeg": true, "png": true, "gif": true, "webp": true, "heic": true, "mp3": true, "m4a": true, "ogg": true,
	"mp4": true, "mov": true, "webm": true, "zip": true, "gz": true, "docx": true, "xlsx": true, "pptx": true, "odt": true,
	"txt": false, "md": false, "json": false, "ndjson": false, "wav": false, "ics": false, "vcf": false, "eml": false, "bmp": false, "tiff": false,
}

// sniffed are the endings for what a file's first bytes show, where its name
// does not say.
var sniffed = map[string]string{
	"application/pdf": "pdf", "image/jpeg": "jpg", "image/png": "png", "image/gif": "gif", "image/webp": "webp", "image/bmp": "bmp",
	"audio/mpeg": "mp3", "audio/wave": "wav", "video/mp4": "mp4", "video/webm": "webm", "application/zip": "zip", "application/x-gzip": "gz",
	"text/plain; charset=utf-8": "txt",
}

// ending returns how a file's name may end, and whether compressing it is
// worth nothing.
func ending(original string, head []byte) (end string, packed bool) {
	end = strings.ToLower(strings.TrimPrefix(path.Ext(original), "."))
	if end == "" {
		end = sniffed[http.DetectContentType(head)]
	}
	packed, known := endings[end]
	if !known {
		return "bin", false
	}
	return end, packed
}
