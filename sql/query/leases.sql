SELECT id, counter, dead FROM lease ORDER BY id;
