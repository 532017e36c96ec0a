import type { ResultSet } from "@libsql/client";
import { is, Placeholder, sql, type SQL, type SQLWrapper } from "drizzle-orm";
import type { RunnableQuery } from "drizzle-orm/runnable-query";
import type { AnyDatabase } from "../../../drizzle-types.ts";
import { utf8ByteLength } from "../../../json.ts";
import { LruMap } from "../../../lru-map.ts";
import type { PositionCell } from "../../../model/cursors.ts";
import type { Cell } from "../../../schema/row-codec.ts";

/** A database of ours or of the app, or a transaction of the app. */
export type Database = AnyDatabase<"async", ResultSet>;

/** A Drizzle builder, which can be compiled, executed alone, or added to a batch. */
export interface Builder extends SQLWrapper, RunnableQuery<unknown, "sqlite"> {
  toSQL(): { sql: string; params: unknown[] };
}

/** Refers to an argument of the statement inside its builder. */
export type ArgumentReference<Name extends string> = (name: Name) => SQL<never>;

/** The value of an argument: an encoded cell, or a cell of the last row of a page. */
export type Argument = Cell | PositionCell;

/** Values by argument name. To bind a statement without a value that it uses is an error. */
type Arguments<Name extends string> = { readonly [Key in Name]?: Argument };

type Build<Name extends string, Built extends Builder> = (
  db: Database,
  argument: ArgumentReference<Name>,
) => Built;

interface Traits {
  readonly single?: boolean;
  readonly unlessChanged?: boolean;
}

/**
 * One typed Drizzle query, as a function of its arguments, which are encoded cells. For our own client it is compiled
 * once, with placeholders. For an app's transaction or batch it is built again.
 */
export class Statement<Name extends string, Built extends Builder = Builder> {
  readonly #db: Database;
  readonly #build: Build<Name, Built>;
  readonly traits: Traits;
  #sql: string | null = null;
  /** The parameters: names of arguments, or constants that Drizzle has encoded. */
  #slots: readonly { readonly name: string | null; readonly constant: Argument }[] = [];

  constructor(db: Database, build: Build<Name, Built>, traits: Traits) {
    this.#db = db;
    this.#build = build;
    this.traits = traits;
  }

  bind(args: Arguments<Name>): BoundStatement {
    const text = this.#sql ?? this.#compile();
    const cells: Argument[] = [];
    for (const { name, constant } of this.#slots) {
      cells.push(name === null ? constant : argumentOf(args, name));
    }
    return new BoundStatement(this, text, cells, args);
  }

  build(target: Database, args: Arguments<Name>): Built {
    return this.#build(target, (name) => sql<never>`${argumentOf(args, name)}`);
  }

  #compile(): string {
    const compiled = this.#build(this.#db, (name) => sql<never>`${sql.placeholder(name)}`).toSQL();
    this.#slots = compiled.params.map((param) =>
      is(param, Placeholder)
        ? { name: param.name, constant: null }
        : { name: null, constant: param as Argument },
    );
    return (this.#sql = compiled.sql);
  }
}

interface Buildable {
  readonly traits: Traits;
  build(target: Database, args: Arguments<string>): Builder;
}

/** A statement with its arguments. */
export class BoundStatement {
  readonly sql: string;
  readonly args: Argument[];
  readonly #statement: Buildable;
  readonly #named: Arguments<string>;

  constructor(statement: Buildable, text: string, args: Argument[], named: Arguments<string>) {
    this.#statement = statement;
    this.sql = text;
    this.args = args;
    this.#named = named;
  }

  /** True if the query is by a whole key. Our own client does not look for a second row then. */
  get single(): boolean {
    return this.#statement.traits.single ?? false;
  }

  /** True if the statement is needed only after a statement that changed nothing. */
  get unlessChanged(): boolean {
    return this.#statement.traits.unlessChanged ?? false;
  }

  /** The run that it is about; null for none, or several. */
  get runId(): string | null {
    const { runId, whereRunId = runId } = this.#named;
    return typeof whereRunId === "string" ? whereRunId : null;
  }

  /** The names of the texts among its arguments, and their bytes. */
  sizes(): [name: string, bytes: number][] {
    return Object.entries(this.#named).flatMap(([name, value]) =>
      typeof value === "string" ? [[name, utf8ByteLength(value)]] : [],
    );
  }

  /** Builds the query for another database of the same shape. */
  build(target: Database): Builder {
    return this.#statement.build(target, this.#named);
  }
}

export function defineStatement<Name extends string, Built extends Builder>(
  db: Database,
  build: Build<Name, Built>,
  traits: Traits = {},
): Statement<Name, Built> {
  return new Statement(db, build, traits);
}

/** Defines a query by a whole key, which returns one row or none. */
export function defineRowStatement<Name extends string, Built extends Builder>(
  db: Database,
  build: Build<Name, Built>,
): Statement<Name, Built> {
  return new Statement(db, build, { single: true });
}

/** Defines a statement that follows a write, and is needed only if the write changed nothing. */
export function defineFollowUp<Name extends string, Built extends Builder>(
  db: Database,
  build: Build<Name, Built>,
): Statement<Name, Built> {
  return new Statement(db, build, { unlessChanged: true });
}

function argumentOf(args: Arguments<string>, name: string): Argument {
  const value = args[name];
  // The driver would bind a missing argument as NULL.
  if (value === undefined) throw new TypeError(`statement argument ${name} is missing`);
  return value;
}

/** Statements of different shapes. Each shape is compiled once, and the least recently used ones are dropped. */
export function statementFamily<Shape, Name extends string, Built extends Builder>(
  keyOf: (shape: Shape) => string,
  define: (shape: Shape) => Statement<Name, Built>,
): (shape: Shape) => Statement<Name, Built> {
  const members = new LruMap<string, Statement<Name, Built>>(maxFamilySize);
  return (shape) => members.getOrMake(keyOf(shape), () => define(shape));
}

/** Shapes are few in practice. The limit is for callers that update every combination of columns. */
const maxFamilySize = 500;
