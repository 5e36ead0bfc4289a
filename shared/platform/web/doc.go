// Package web turns API Gateway proxy events into requests that are safe to
// read and answers into pages that a person can use: without JavaScript, by
// keyboard, with a screen reader, on a phone, at 200 % zoom and on paper.
//
// A page is a file of the stage, pages/<name>.html, holding only what stands
// between the opening sentence and the footer. The layout around it (title,
// opening sentence, summary of problems, footer, stylesheet) is here, and so
// are the headers that keep a page from being framed, cached or leaked by a
// referrer. Inside a page the dot is the View; {{.Data}} is the stage's own.
//
// Forms leave the action away, or name it relative to the page, so that they
// work under any stage prefix of the API. A field that may be wrong is written
//
//	<label for="email">Your mail address</label>
//	<p class="hint" id="email-hint">The one we know you by.</p>
//	{{template "problem" (.At "email")}}
//	<input id="email" name="email" {{.Invalid "email" "email-hint"}}>
//
// which ties it to its hint, to its problem and to the summary of problems at
// the top. A group of fields is <fieldset id="rights" tabindex="-1"
// {{.Described "rights"}}>, so that the summary's link can lead to it.
package web
