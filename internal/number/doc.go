// Package number reads numbers that somebody else wrote: servers, files and people.
// A number of more than [Most] characters is refused before it is parsed, because the
// time and the memory that parsing takes can grow faster than the text.
// Everything in it is pure.
package number
