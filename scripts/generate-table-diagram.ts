// npm run docs:diagram
//
// Writes the Mermaid diagram of the tables, generated from the schema, into docs/tables.md.
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { getTableConfig, type SQLiteColumn } from "drizzle-orm/sqlite-core";
import { tables as workflowTables } from "../src/schema/tables.ts";

const page = join(import.meta.dirname, "../docs/tables.md");
const diagramBlock = /```mermaid\nerDiagram\n[^]*?```/;

/** The page with the diagram of the current schema. */
export function withTableDiagram(text: string): string {
  return text.replace(diagramBlock, `\`\`\`mermaid\n${tableDiagram()}\`\`\``);
}

function tableDiagram(): string {
  const tables = Object.values(workflowTables).map(getTableConfig);
  const entities = tables.flatMap(({ name, columns, primaryKeys, foreignKeys }) => {
    const primary = new Set([
      ...columns.filter((column) => column.primary),
      ...primaryKeys.flatMap((key) => key.columns),
    ]);
    const foreign = new Set(foreignKeys.flatMap((key) => key.reference().columns));
    const keysOf = (column: SQLiteColumn): string =>
      [primary.has(column) && "PK", foreign.has(column) && "FK"].filter(Boolean).join(", ");
    const lines = columns.map((column) =>
      `    ${column.getSQLType()} ${column.name} ${keysOf(column)}`.trimEnd(),
    );
    return [`  ${name} {`, ...lines, "  }"];
  });
  const relations = tables.flatMap(({ name, foreignKeys }) =>
    foreignKeys.map((key) => {
      const { name: parent } = getTableConfig(key.reference().foreignTable);
      return `  ${parent} ||--o{ ${name} : has`;
    }),
  );
  return ["erDiagram", ...relations, ...entities, ""].join("\n");
}

if (resolve(process.argv[1] ?? "") === import.meta.filename) {
  writeFileSync(page, withTableDiagram(readFileSync(page, "utf8")));
}
