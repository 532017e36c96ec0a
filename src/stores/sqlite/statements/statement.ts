import type { ResultSet } from "@libsql/client";
import { is, Placeholder, sql, type SQL, type SQLWrapper } from "drizzle-orm";
import type { RunnableQuery } from "drizzle-orm/runnable-query";
import type { AnyDatabase } from "../../../drizzle-types.ts";
import { LruMap } from "../../../lru-map.ts";
import type { PositionCell } from "../../../model/cursors.ts";
import type { Cell } from "../../../schema/row-codec.ts";

/** What a statement is built with: a database of ours, an app's, or an app's transaction. */
export type Database = AnyDatabase<"async", ResultSet>;

/** A Drizzle builder: something that is SQL, can be compiled to its text, and run by itself or in a batch. */
export interface Builder extends SQLWrapper, RunnableQuery<unknown, "sqlite"> {
  toSQL(): { sql: string; params: unknown[] };
}

/** How a builder refers to the statement's arguments. */
export type ArgumentReference<Name extends string> = (name: Name) => SQL<never>;

/**
 * One typed Drizzle query, as a function of its arguments.
 *
 * Arguments are cells, already encoded. For our own client the query is compiled once, with placeholders;
 * for an app's transaction or batch it is built anew.
 */
export interface Statement<Name extends string, Built extends Builder = Builder> {
  bind(args: Arguments<Name>): BoundStatement;
  build(db: Database, args: Arguments<Name>): Built;
}

/** A value that a statement is given: an encoded cell, or one that a page ended with. */
export type Argument = Cell | PositionCell;

/**
 * Values by argument name. A statement of a family uses those that its shape names; one that it uses and is
 * not given is an error when it is bound.
 */
type Arguments<Name extends string> = { readonly [Key in Name]?: Argument };

/** A statement with its arguments. */
export interface BoundStatement {
  readonly sql: string;
  readonly args: Argument[];
  /** True when the query is by a whole key: our own client then does not ask for a second row. */
  readonly single: boolean;
  /** True when the query is of use only where the statement before it changed nothing: it may be left out otherwise. */
  readonly unlessChanged: boolean;
  /** The run that it is about; null when it is about none, or several. */
  readonly runId: string | null;
  /** The same query on another database of the same shape. */
  build(db: Database): Builder;
}

type Build<Name extends string, Built extends Builder> = (
  db: Database,
  argument: ArgumentReference<Name>,
) => Built;

export function defineStatement<Name extends string, Built extends Builder>(
  db: Database,
  build: Build<Name, Built>,
): Statement<Name, Built> {
  return new PreparedStatement(db, build, { single: false, unlessChanged: false });
}

/** A query by a whole key, which gives one row or none. */
export function defineRowStatement<Name extends string, Built extends Builder>(
  db: Database,
  build: Build<Name, Built>,
): Statement<Name, Built> {
  return new PreparedStatement(db, build, { single: true, unlessChanged: false });
}

/** A statement that stands right behind a write, and is of use only where that changed nothing. */
export function defineFollowUp<Name extends string, Built extends Builder>(
  db: Database,
  build: Build<Name, Built>,
): Statement<Name, Built> {
  return new PreparedStatement(db, build, { single: false, unlessChanged: true });
}

type Traits = Pick<BoundStatement, "single" | "unlessChanged">;

class PreparedStatement<Name extends string, Built extends Builder> implements Statement<
  Name,
  Built
> {
  readonly #db: Database;
  readonly #build: Build<Name, Built>;
  readonly traits: Traits;
  #sql: string | null = null;
  /** Each parameter: the name of an argument; or a constant, which Drizzle has already encoded. */
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
    return new BoundArguments(this, text, cells, args);
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

class BoundArguments<Name extends string> implements BoundStatement {
  readonly sql: string;
  readonly args: Argument[];
  readonly #statement: PreparedStatement<Name, Builder>;
  readonly #named: Arguments<Name>;

  constructor(
    statement: PreparedStatement<Name, Builder>,
    text: string,
    args: Argument[],
    named: Arguments<Name>,
  ) {
    this.#statement = statement;
    this.sql = text;
    this.args = args;
    this.#named = named;
  }

  get single(): boolean {
    return this.#statement.traits.single;
  }

  get unlessChanged(): boolean {
    return this.#statement.traits.unlessChanged;
  }

  get runId(): string | null {
    const { runId, whereRunId = runId } = this.#named as Arguments<"runId" | "whereRunId">;
    return typeof whereRunId === "string" ? whereRunId : null;
  }

  build(target: Database): Builder {
    return this.#statement.build(target, this.#named);
  }
}

function argumentOf(args: Arguments<string>, name: string): Argument {
  const value = args[name];
  // A missing argument would be bound as NULL, in silence.
  if (value === undefined) throw new TypeError(`statement argument ${name} is missing`);
  return value;
}

/** A family of statements that differ in shape. Each shape is compiled once; the least recently used is dropped. */
export function statementFamily<Shape, Name extends string, Built extends Builder>(
  keyOf: (shape: Shape) => string,
  define: (shape: Shape) => Statement<Name, Built>,
): (shape: Shape) => Statement<Name, Built> {
  const members = new LruMap<string, Statement<Name, Built>>(maxFamilySize);
  return (shape) => members.getOrMake(keyOf(shape), () => define(shape));
}

/** Shapes are few in practice (which columns an update names); the bound is for callers who try them all. */
const maxFamilySize = 500;
