//go:build tools

// Package tools makes Go build the server at the version that go.mod pins.
package tools

import _ "github.com/versity/versitygw/cmd/versitygw"
