// Package page prints tables and paragraphs for people, no wider than a page.
package page
