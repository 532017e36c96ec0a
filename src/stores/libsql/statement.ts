import type { ResultSet } from "@libsql/client";
import { is, Placeholder, sql, type SQL, type SQLWrapper } from "drizzle-orm";
import type { RunnableQuery } from "drizzle-orm/runnable-query";
import type { BaseSQLiteDatabase } from "drizzle-orm/sqlite-core";
import type { Cell } from "../../schema/row-codec.ts";

/** What a statement is built with: a database of ours, an app's, or an app's transaction. */
export type Database = BaseSQLiteDatabase<"async", ResultSet, Record<string, unknown>>;

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

/**
 * Values by argument name. A statement of a family uses those that its shape names; one that it uses and is
 * not given is an error when it is bound.
 */
type Arguments<Name extends string> = { readonly [Argument in Name]?: Cell };

/** A statement with its arguments. */
export interface BoundStatement {
  readonly sql: string;
  readonly args: Cell[];
  /** True when the query is by a whole key: our own client then does not ask for a second row. */
  readonly single: boolean;
  /** The same query on another database of the same shape. */
  build(db: Database): Builder;
}

export function defineStatement<Name extends string, Built extends Builder>(
  db: Database,
  build: (db: Database, argument: ArgumentReference<Name>) => Built,
): Statement<Name, Built> {
  return makeStatement(db, build, false);
}

/** A query by a whole key, which gives one row or none. */
export function defineRowStatement<Name extends string, Built extends Builder>(
  db: Database,
  build: (db: Database, argument: ArgumentReference<Name>) => Built,
): Statement<Name, Built> {
  return makeStatement(db, build, true);
}

function makeStatement<Name extends string, Built extends Builder>(
  db: Database,
  build: (db: Database, argument: ArgumentReference<Name>) => Built,
  single: boolean,
): Statement<Name, Built> {
  let compiled: { sql: string; params: unknown[] } | null = null;

  const compile = () => build(db, (name) => sql<never>`${sql.placeholder(name)}`).toSQL();

  const statement: Statement<Name, Built> = {
    bind(args) {
      compiled ??= compile();
      return {
        sql: compiled.sql,
        // Whatever is no placeholder is a constant that Drizzle has already encoded.
        args: compiled.params.map((param) =>
          is(param, Placeholder) ? argumentOf(args, param.name) : (param as Cell),
        ),
        single,
        build: (target) => statement.build(target, args),
      };
    },
    build: (target, args) => build(target, (name) => sql<never>`${argumentOf(args, name)}`),
  };
  return statement;
}

function argumentOf(args: Arguments<string>, name: string): Cell {
  const value = args[name];
  // A missing argument would be bound as NULL, in silence.
  if (value === undefined) throw new TypeError(`statement argument ${name} is missing`);
  return value;
}

/** A family of statements that differ in shape: each shape is compiled once, the least used are forgotten. */
export function statementFamily<Shape, Name extends string, Built extends Builder>(
  keyOf: (shape: Shape) => string,
  define: (shape: Shape) => Statement<Name, Built>,
): (shape: Shape) => Statement<Name, Built> {
  const members = new Map<string, Statement<Name, Built>>();
  return (shape) => {
    const key = keyOf(shape);
    let statement = members.get(key);
    if (statement === undefined) {
      statement = define(shape);
      const [oldest] = members.keys();
      if (members.size >= maxFamilySize && oldest !== undefined) members.delete(oldest);
      members.set(key, statement);
    }
    return statement;
  };
}

/** Shapes are few in practice (which columns an update names); the bound is for callers who try them all. */
const maxFamilySize = 500;
