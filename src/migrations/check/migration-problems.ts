/** The kinds of problems of a folder of migrations. */
export type MigrationProblemCode =
  | "JOURNAL_UNREADABLE"
  | "LAYOUT_OF_OTHER_VERSION"
  | "SQL_MISSING"
  | "SQL_UNREADABLE"
  | "SQL_INCOMPLETE"
  | "SQL_INCORRECT"
  | "SQL_NOT_IN_JOURNAL"
  | "WHEN_NOT_INCREASING"
  | "SNAPSHOT_MISSING"
  | "SNAPSHOT_UNREADABLE"
  | "SNAPSHOT_CHAIN_BROKEN"
  | "MIGRATION_EDITED"
  | "MIGRATION_REMOVED"
  | "MIGRATION_NOT_RECORDED"
  | "BREAKPOINT_MISSING"
  | "STATEMENT_EMPTY"
  | "SCHEMA_AHEAD"
  | "NAME_TAKEN";

export interface MigrationProblem {
  readonly code: MigrationProblemCode;
  /** The file, relative to the folder; null if the problem is in the schema. */
  readonly file: string | null;
  readonly message: string;
  readonly remedy: string;
}
