-- The live contents as readers of code chunks ask for them.
create view code_chunks as
select codelupe_text(content)             as content,
       lower(language)                    as language,
       file_path,
       repo,
       datetime(created_at, 'unixepoch')  as inserted_at,
       add_id                             as id
from live;
