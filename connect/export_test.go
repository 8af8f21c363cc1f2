package connect

// What the tests outside the package look at from inside.
var (
	ParseContentRange = parseContentRange
	DecodeRequest     = decodeRequest
	DecodeHub         = decodeHub
)
