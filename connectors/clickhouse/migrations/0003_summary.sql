-- A short sentence for people, and why a finding was withdrawn. Rows from before have empty texts.
ALTER TABLE {{.Table "findings"}} {{.OnCluster}}
    ADD COLUMN IF NOT EXISTS summary String COMMENT 'One short sentence: the rule''s own, or the agent, the tool and the target',
    ADD COLUMN IF NOT EXISTS withdrawn_reason LowCardinality(String) COMMENT 'Why the finding was withdrawn, if no record is the reason: the rule was removed or changed';

-- A view has the columns of its creation, so the views are replaced.
CREATE OR REPLACE VIEW {{.Table "v_findings"}} {{.OnCluster}} AS
SELECT * FROM {{.Table "findings"}} FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;
