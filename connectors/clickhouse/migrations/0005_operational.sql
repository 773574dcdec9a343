-- Whether a finding is about the running process. Rows from before are not.
ALTER TABLE {{.Table "findings"}} {{.OnCluster}}
    ADD COLUMN IF NOT EXISTS operational Bool COMMENT 'Whether the finding is about the running process, such as a source that fell silent; its times are those of the wall clock';

-- A view has the columns of its creation, so the views are replaced.
CREATE OR REPLACE VIEW {{.Table "v_findings"}} {{.OnCluster}} AS
SELECT * FROM {{.Table "findings"}} FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;
