/** `catga/backup`: what stores keep, as lines of JSON, and back. */
export { type BackupProgress, exportEntities, type ExportOptions } from "./export.ts";
export { importEntities, type ImportOptions, type ImportResult } from "./import.ts";
export type { OnConflict } from "./import.ts";
export { type BackupPlace, storedIn } from "./open.ts";
