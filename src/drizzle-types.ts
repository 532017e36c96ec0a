// Types that Drizzle 0.45 and 1.0 name or build differently. They are computed where an app is compiled, against the
// Drizzle that it has. Of each pair one is an error there, and `PerVersion` picks the other.
//
// `@ts-ignore` hides the error, because `@ts-expect-error` would be one on the other version. It is a JSDoc comment, which
// the compiler copies into the declarations that we ship, and covers the next line only, which must not be broken.
import type { ResultSet } from "@libsql/client";
import type * as orm from "drizzle-orm";
import type * as libsql from "drizzle-orm/libsql/driver-core";
import type * as core from "drizzle-orm/sqlite-core";

/** The first on Drizzle 1.0, the second on 0.45. */
type PerVersion<Type1, Type0> = "SQLiteAsyncDatabase" extends keyof typeof core ? Type1 : Type0;

type Texts = [string, ...string[]];

/** @ts-ignore */
type Text1<Values extends Texts> = core.SQLiteTextBuilder<Values>;
// oxfmt-ignore
/** @ts-ignore */
type Text0<Name extends string, Values extends Texts> = core.SQLiteTextBuilderInitial<Name, Values, number | undefined>;
export interface TextBuilder<Name extends string, Values extends Texts = Texts> extends PerVersion<
  Text1<Values>,
  Text0<Name, Values>
> {}

/** @ts-ignore */
type Integer1 = core.SQLiteIntegerBuilder;
/** @ts-ignore */
type Integer0<Name extends string> = core.SQLiteIntegerBuilderInitial<Name>;
export interface IntegerBuilder<Name extends string> extends PerVersion<Integer1, Integer0<Name>> {}

/** @ts-ignore */
type Real1 = core.SQLiteRealBuilder;
/** @ts-ignore */
type Real0<Name extends string> = core.SQLiteRealBuilderInitial<Name>;
export interface RealBuilder<Name extends string> extends PerVersion<Real1, Real0<Name>> {}

/** @ts-ignore */
type Time1 = core.SQLiteTimestampBuilder;
/** @ts-ignore */
type Time0<Name extends string> = core.SQLiteTimestampBuilderInitial<Name>;
export interface TimeBuilder<Name extends string> extends PerVersion<Time1, Time0<Name>> {}

interface Json {
  dataType: "custom";
  driverParam: string;
}
interface NamedJson extends Json {
  name: string;
  columnType: "SQLiteCustomColumn";
  enumValues: undefined;
}
/** @ts-ignore */
type Json1<Data> = core.SQLiteCustomColumnBuilder<Json & { data: Data }>;
type Json0<Data> = core.SQLiteCustomColumnBuilder<NamedJson & { data: Data }>;
export interface JsonBuilder<Data> extends PerVersion<Json1<Data>, Json0<Data>> {}

type Mode = "sync" | "async";

// The relations of an app take no part in what we ask of its database.
// oxlint-disable-next-line no-explicit-any
type Any = any;

// oxfmt-ignore
/** @ts-ignore */
type Database1<M extends Mode, Result> = core.SQLiteAsyncDatabase<M, Result, Any>;
// oxfmt-ignore
/** @ts-ignore */
type Database0<M extends Mode, Result> = core.BaseSQLiteDatabase<M, Result, Record<string, unknown>>;
/** Any Drizzle database on SQLite, or a transaction of one. */
export type AnyDatabase<M extends Mode, Result> = PerVersion<
  Database1<M, Result>,
  Database0<M, Result>
>;

/** A Drizzle database on SQLite, with any driver. */
export type AppDatabase = AnyDatabase<"sync", Any> | AnyDatabase<"async", Any>;

/** The argument of the callback of Drizzle's `db.transaction`, in an app on libSQL. */
export type AppTransaction = AnyDatabase<"async", ResultSet> & { rollback(): never };

type NotNullable<Name extends string> = Record<Name, "not-null">;
// oxfmt-ignore
/** @ts-ignore */
type Select1<Name extends string, M extends Mode, Result, Columns> = core.SQLiteAsyncSelect<Name, M, Result, Columns, "single", NotNullable<Name>>;
// oxfmt-ignore
/** @ts-ignore */
type Select0<Name extends string, M extends Mode, Result, Columns> = core.SQLiteSelect<Name, M, Result, Columns, "single", NotNullable<Name>>;
/** A query that selects all columns of one table, and that can be refined. */
export type Select<Name extends string, M extends Mode, Result, Columns> = PerVersion<
  Select1<Name, M, Result, Columns>,
  Select0<Name, M, Result, Columns>
>;

/** @ts-ignore */
type LibSQL<Known> = libsql.LibSQLDatabase<Known>;
/** A Drizzle database on libSQL that knows the app's relations (1.0) or its schema (0.45). */
export type LibSQLDatabase<Known1, Known0> = LibSQL<PerVersion<Known1, Known0>>;

// What an app's `drizzle({ … })` is given apart from the client; `Known` are its relations (1.0) or its schema (0.45).
/** @ts-ignore */
export type DrizzleConfig<Known> = orm.DrizzleConfig<Known>;

/** @ts-ignore */
type Relations0<Table extends string, Config> = orm.Relations<Table, Config>;
/** `relations(…)` of 0.45. */
export type TableRelations<Table extends string, Config> = PerVersion<
  undefined,
  Relations0<Table, Config>
>;

// oxfmt-ignore
/** @ts-ignore */
type Part1<Config, Tables> = orm.ExtractTablesWithRelationsParts<Config, Tables>;
/** `defineRelationsPart(…)` of 1.0. */
export type RelationsPart<Config, Tables> = PerVersion<Part1<Config, Tables>, never>;
