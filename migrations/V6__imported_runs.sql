-- Runs that embedded nothing here, but stored what a dataset said: nobody saw the files of their
-- recordings. Until now, that stood behind the version of the program that stored them.

ALTER TABLE runs ADD COLUMN imported INTEGER NOT NULL DEFAULT 0 CHECK (imported IN (0, 1));
UPDATE runs SET imported = 1, sonoteca_version = replace(sonoteca_version, ' import', '')
    WHERE sonoteca_version LIKE '% import';
