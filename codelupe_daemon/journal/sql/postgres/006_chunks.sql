-- The live contents as readers of code chunks ask for them.
create view code_chunks as
select content,
       lower(language)           as language,
       file_path,
       repo,
       to_timestamp(created_at)  as inserted_at,
       add_id                    as id
from live;
