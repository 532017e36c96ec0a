-- Questions about reports in DuckDB. In the folder of the database:
--
--   gorkflow report throughput --per hour --format csv > throughput.csv
--   gorkflow report funnel --format csv > funnel.csv
--   gorkflow report steps --format csv > steps.csv
--   duckdb < reports.sql
--
-- For a notebook in Python: duckdb.sql("from 'throughput.csv'").df()
-- As parquet:               copy (from 'throughput.csv') to 'throughput.parquet'

-- In which hours of the day do runs fail?
select
  substr(cast(bucketStart as varchar), 12, 2) as hour,
  sum(completed) as completed,
  sum(failed) as failed
from 'throughput.csv'
group by hour
having sum(failed) > 0
order by hour;

-- At which steps do runs stop, and how long do these take?
select funnel.workflowId, funnel.stepId, funnel.reached, funnel.stopped, steps.p95Ms
from 'funnel.csv' as funnel
left join 'steps.csv' as steps
  on steps.workflowId = funnel.workflowId and steps.stepId = funnel.stepId
where funnel.stopped <> '0'
order by funnel.workflowId, funnel.position;
