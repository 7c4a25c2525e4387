-- Has a number grow with each change of users, groups and clients: the server looks at it, since the database's own says
-- only that anything has changed, sessions too. May be run again.
CREATE TABLE IF NOT EXISTS forewarn_changes (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    number INTEGER NOT NULL
);
INSERT OR IGNORE INTO forewarn_changes VALUES (1, 0);
CREATE TRIGGER IF NOT EXISTS forewarn_radcheck_insert AFTER INSERT ON radcheck BEGIN
    UPDATE forewarn_changes SET number = number + 1;
END;
CREATE TRIGGER IF NOT EXISTS forewarn_radcheck_update AFTER UPDATE ON radcheck BEGIN
    UPDATE forewarn_changes SET number = number + 1;
END;
CREATE TRIGGER IF NOT EXISTS forewarn_radcheck_delete AFTER DELETE ON radcheck BEGIN
    UPDATE forewarn_changes SET number = number + 1;
END;
CREATE TRIGGER IF NOT EXISTS forewarn_radreply_insert AFTER INSERT ON radreply BEGIN
    UPDATE forewarn_changes SET number = number + 1;
END;
CREATE TRIGGER IF NOT EXISTS forewarn_radreply_update AFTER UPDATE ON radreply BEGIN
    UPDATE forewarn_changes SET number = number + 1;
END;
CREATE TRIGGER IF NOT EXISTS forewarn_radreply_delete AFTER DELETE ON radreply BEGIN
    UPDATE forewarn_changes SET number = number + 1;
END;
CREATE TRIGGER IF NOT EXISTS forewarn_radusergroup_insert AFTER INSERT ON radusergroup BEGIN
    UPDATE forewarn_changes SET number = number + 1;
END;
CREATE TRIGGER IF NOT EXISTS forewarn_radusergroup_update AFTER UPDATE ON radusergroup BEGIN
    UPDATE forewarn_changes SET number = number + 1;
END;
CREATE TRIGGER IF NOT EXISTS forewarn_radusergroup_delete AFTER DELETE ON radusergroup BEGIN
    UPDATE forewarn_changes SET number = number + 1;
END;
CREATE TRIGGER IF NOT EXISTS forewarn_radgroupcheck_insert AFTER INSERT ON radgroupcheck BEGIN
    UPDATE forewarn_changes SET number = number + 1;
END;
CREATE TRIGGER IF NOT EXISTS forewarn_radgroupcheck_update AFTER UPDATE ON radgroupcheck BEGIN
    UPDATE forewarn_changes SET number = number + 1;
END;
CREATE TRIGGER IF NOT EXISTS forewarn_radgroupcheck_delete AFTER DELETE ON radgroupcheck BEGIN
    UPDATE forewarn_changes SET number = number + 1;
END;
CREATE TRIGGER IF NOT EXISTS forewarn_radgroupreply_insert AFTER INSERT ON radgroupreply BEGIN
    UPDATE forewarn_changes SET number = number + 1;
END;
CREATE TRIGGER IF NOT EXISTS forewarn_radgroupreply_update AFTER UPDATE ON radgroupreply BEGIN
    UPDATE forewarn_changes SET number = number + 1;
END;
CREATE TRIGGER IF NOT EXISTS forewarn_radgroupreply_delete AFTER DELETE ON radgroupreply BEGIN
    UPDATE forewarn_changes SET number = number + 1;
END;
CREATE TRIGGER IF NOT EXISTS forewarn_nas_insert AFTER INSERT ON nas BEGIN
    UPDATE forewarn_changes SET number = number + 1;
END;
CREATE TRIGGER IF NOT EXISTS forewarn_nas_update AFTER UPDATE ON nas BEGIN
    UPDATE forewarn_changes SET number = number + 1;
END;
CREATE TRIGGER IF NOT EXISTS forewarn_nas_delete AFTER DELETE ON nas BEGIN
    UPDATE forewarn_changes SET number = number + 1;
END;
