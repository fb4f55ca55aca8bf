// What go-enry says about files, which come on standard input: a JSON object a line for each.
//
// A file is a line of its size, a space and its path, then its bytes.
package main

import (
	"bufio"
	"encoding/json"
	"io"
	"log"
	"os"
	"strconv"
	"strings"

	"github.com/go-enry/go-enry/v2"
)

type answer struct {
	Language      string `json:"language"`
	Vendored      bool   `json:"vendored"`
	Generated     bool   `json:"generated"`
	Documentation bool   `json:"documentation"`
}

func main() {
	in := bufio.NewReader(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	for {
		line, err := in.ReadString('\n')
		if err == io.EOF {
			return
		}
		size, path, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		bytes, err := strconv.Atoi(size)
		if err != nil {
			log.Fatal(err)
		}
		content := make([]byte, bytes)
		if _, err := io.ReadFull(in, content); err != nil {
			log.Fatal(err)
		}
		said := answer{
			Language:      enry.GetLanguage(path, content),
			Vendored:      enry.IsVendor(path),
			Generated:     enry.IsGenerated(path, content),
			Documentation: enry.IsDocumentation(path),
		}
		if err := encoder.Encode(said); err != nil {
			log.Fatal(err)
		}
	}
}
