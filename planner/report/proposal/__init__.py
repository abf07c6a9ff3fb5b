"""Budget proposals: one content, built from scenarios and their answers, written as HTML, PDF, XLSX and Markdown."""
