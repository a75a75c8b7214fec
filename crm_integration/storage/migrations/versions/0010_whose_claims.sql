-- Revision 0010. Never edited: a change is a new revision.

-- The process that drains a lane, by a name that no other process ever has: whoever follows it may
-- see that it is gone, and need not wait until its claims have run out.
ALTER TABLE lanes ADD COLUMN process TEXT NOT NULL DEFAULT '';
