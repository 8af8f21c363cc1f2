// Package page prints tables and paragraphs of limited width.
package page
