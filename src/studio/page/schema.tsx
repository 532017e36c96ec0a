import { useState } from "preact/hooks";
import { useData, type Part } from "./data.ts";
import { Card, Empty, Load, Problem, Table, Text } from "./parts.tsx";

interface TableOfSchema {
  readonly name: string;
  readonly columns: readonly {
    readonly name: string;
    readonly type: string;
    readonly notNull: boolean;
    readonly primary: boolean;
  }[];
  readonly indexes: readonly {
    readonly name: string;
    readonly columns: readonly string[];
    readonly unique: boolean;
  }[];
  readonly references: readonly { readonly from: readonly string[]; readonly to: string }[];
}

interface SchemaAnswer {
  readonly tables: readonly TableOfSchema[];
  /** Null if the app migrates its own tables. */
  readonly migrations: Part<{
    readonly state: string;
    readonly applied: readonly string[];
    readonly pending: readonly string[];
    readonly unknown: readonly string[];
  }> | null;
}

interface DoctorAnswer {
  readonly healthy: boolean;
  readonly findings: readonly {
    readonly severity: string;
    readonly table?: string;
    readonly message: string;
    readonly remedy?: string;
  }[];
}

const noDatabase = <Empty>This store has no SQLite database.</Empty>;

export function SchemaPage({ hasReports }: { readonly hasReports: boolean }) {
  const schema = useData<SchemaAnswer>("schema", "once");
  return (
    <>
      <div class="page-head">
        <h1>Schema</h1>
      </div>
      <Load from={schema}>
        {({ tables, migrations }) => (
          <>
            <Card title="Relations">
              <Diagram tables={tables} />
            </Card>
            <div class="grid">
              <Card title="Migrations">
                {hasReports ? <Migrations migrations={migrations} /> : noDatabase}
              </Card>
              <Card title="Doctor">{hasReports ? <Doctor /> : noDatabase}</Card>
            </div>
            {tables.map((table) => (
              <Card key={table.name} title={table.name}>
                <Table
                  label={`Columns of ${table.name}`}
                  rows={table.columns}
                  columns={[
                    { title: "Column", cell: ({ name }) => <Text mono value={name} /> },
                    { title: "Type", cell: ({ type }) => type },
                    { title: "Null", cell: ({ notNull }) => (notNull ? "not null" : "null") },
                    { title: "Key", cell: ({ primary }) => (primary ? "primary" : "") },
                    {
                      title: "Indexes",
                      cell: ({ name }) =>
                        table.indexes
                          .filter(({ columns }) => columns.includes(name))
                          .map((index) => index.name)
                          .join(", "),
                    },
                  ]}
                />
              </Card>
            ))}
          </>
        )}
      </Load>
    </>
  );
}

function Migrations({ migrations }: { readonly migrations: SchemaAnswer["migrations"] }) {
  if (migrations === null) {
    return (
      <Empty>The app migrates these tables itself. The doctor compares them with the schema.</Empty>
    );
  }
  if ("error" in migrations) return <Problem message={migrations.error.message} />;
  const { state, applied, pending, unknown } = migrations.value;
  return (
    <>
      <p>
        The database is <strong>{state}</strong>.
      </p>
      <Table
        label="Migrations"
        rows={[
          ...applied.map((tag) => ({ tag, is: "applied" })),
          ...pending.map((tag) => ({ tag, is: "pending" })),
          ...unknown.map((tag) => ({ tag, is: "unknown to this version" })),
        ]}
        columns={[
          { title: "Migration", cell: ({ tag }) => <Text mono value={tag} /> },
          { title: "State", cell: ({ is }) => is },
        ]}
      />
    </>
  );
}

/** The doctor reads every row to find orphans, so it waits until it is asked. */
function Doctor() {
  const [isAsked, setIsAsked] = useState(false);
  const answer = useData<DoctorAnswer>(isAsked ? "doctor" : null, "once");
  if (!isAsked) {
    return (
      <>
        <p>The doctor compares the live database with the schema, and looks for orphaned rows.</p>
        <button type="button" onClick={() => setIsAsked(true)}>
          Examine the database
        </button>
      </>
    );
  }
  return (
    <Load from={answer}>
      {({ healthy, findings }) => (
        <>
          <p role="status">
            {healthy ? "The database is healthy." : "The database needs attention."}
          </p>
          {findings.length > 0 && (
            <ul>
              {findings.map(({ severity, message, remedy }, index) => (
                <li key={index}>
                  <strong>{severity}</strong> <Text value={message} />
                  {remedy !== undefined && (
                    <p class="muted">
                      <Text value={remedy} />
                    </p>
                  )}
                </li>
              ))}
            </ul>
          )}
        </>
      )}
    </Load>
  );
}

const [boxWidth, boxHeight, gap] = [210, 64, 24];

/** The tables, with an arrow from each one that references another. */
function Diagram({ tables }: { readonly tables: readonly TableOfSchema[] }) {
  const [parent, ...children] = tables;
  if (parent === undefined) return null;
  const height = children.length * (boxHeight + gap) - gap;
  const width = 2 * boxWidth + 140;
  const parentY = (height - boxHeight) / 2;
  const right = width - boxWidth;
  const text = children
    .flatMap(({ name, references }) =>
      references.map(({ from, to }) => `${name}.${from.join(", ")} references ${to}`),
    )
    .join("; ");
  return (
    <div class="table" tabIndex={0} role="region" aria-label="Diagram of the relations">
      <svg
        class="diagram"
        viewBox={`-1 -1 ${width + 2} ${height + 2}`}
        width={width}
        role="img"
        aria-label={text}
      >
        <Box table={parent} x={0} y={parentY} />
        {children.map((table, index) => {
          const y = index * (boxHeight + gap);
          const [from, to] = [y + boxHeight / 2, parentY + boxHeight / 2];
          const middle = boxWidth + 70;
          return (
            <g key={table.name}>
              {table.references.length > 0 && (
                <path
                  d={`M${right} ${from}C${middle} ${from} ${middle} ${to} ${boxWidth + 8} ${to}`}
                />
              )}
              <Box table={table} x={right} y={y} />
            </g>
          );
        })}
        <path class="arrow" d={`M${boxWidth} ${height / 2}l9 -5v10z`} />
      </svg>
    </div>
  );
}

function Box({
  table,
  x,
  y,
}: {
  readonly table: TableOfSchema;
  readonly x: number;
  readonly y: number;
}) {
  const keys = table.columns.filter(({ primary }) => primary).map(({ name }) => name);
  return (
    <g>
      <rect x={x} y={y} width={boxWidth} height={boxHeight} rx="6" />
      <text x={x + 12} y={y + 26} class="diagram-name">
        {table.name}
      </text>
      <text x={x + 12} y={y + 47}>
        {keys.join(", ")}
      </text>
    </g>
  );
}
