-- Words taken out of the search index leave with the parts of it that held them: at once when something is forgotten
-- (`token::forget`), as the parts are merged when an edit replaces a word. To look for each replaced word in
-- every part, as secure-delete does, was most of what taking in colleagues' edits cost.
INSERT INTO token (token, rank) VALUES ('secure-delete', 0);
