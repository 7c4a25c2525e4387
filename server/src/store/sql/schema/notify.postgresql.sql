-- Says on the channel `forewarn` what has changed: the name of a user, or nothing, which means anything. May be run again.
CREATE OR REPLACE FUNCTION forewarn_changed_user() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        PERFORM pg_notify('forewarn', '');
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        PERFORM pg_notify('forewarn', OLD.username);
    END IF;
    IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.username <> OLD.username) THEN
        PERFORM pg_notify('forewarn', NEW.username);
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION forewarn_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('forewarn', '');
    RETURN NULL;
END $$;

DO $$
DECLARE
    changed text;
BEGIN
    FOREACH changed IN ARRAY ARRAY['radcheck', 'radreply', 'radusergroup'] LOOP
        EXECUTE format('DROP TRIGGER IF EXISTS forewarn_changed ON %I', changed);
        EXECUTE format('DROP TRIGGER IF EXISTS forewarn_truncated ON %I', changed);
        EXECUTE format('CREATE TRIGGER forewarn_changed AFTER INSERT OR UPDATE OR DELETE ON %I
            FOR EACH ROW EXECUTE FUNCTION forewarn_changed_user()', changed);
        EXECUTE format('CREATE TRIGGER forewarn_truncated AFTER TRUNCATE ON %I
            FOR EACH STATEMENT EXECUTE FUNCTION forewarn_changed()', changed);
    END LOOP;
    FOREACH changed IN ARRAY ARRAY['radgroupcheck', 'radgroupreply', 'nas'] LOOP
        EXECUTE format('DROP TRIGGER IF EXISTS forewarn_changed ON %I', changed);
        EXECUTE format('CREATE TRIGGER forewarn_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON %I
            FOR EACH STATEMENT EXECUTE FUNCTION forewarn_changed()', changed);
    END LOOP;
END $$;
