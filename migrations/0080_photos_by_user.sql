-- What one user sent lately is counted whenever a photo is opened.
CREATE INDEX photos_by_user ON photos (uploaded_by, arrived_at);
