-- The first worker that has an account says where it is. $1 names, $2 their URLs.
INSERT INTO account_url (name, url)
SELECT name, url FROM unnest($1::text[], $2::text[]) AS a (name, url)
ON CONFLICT (name) DO NOTHING;
