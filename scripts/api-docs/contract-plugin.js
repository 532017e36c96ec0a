// @ts-check
import {
  ArrayType,
  Converter,
  IntersectionType,
  PageEvent,
  ReferenceType,
  ReflectionKind,
  ReflectionType,
  UnionType,
} from "typedoc";

/**
 * What TypeDoc does not do by itself for the contract:
 *
 * - it shows none of the errors in `@throws {RunNotFoundError} {LeaseLostError} when …`
 * - all pages have the title of the package, and not of the entry that they describe
 * - types that are inferred from a table are written out wherever they are used, and not where they are declared
 * - a table's own type, which says nothing without its columns, has an empty list of them
 *
 * @param {import("typedoc").Application} app
 */
export function load(app) {
  /** @type {Map<string, { reflection: import("typedoc").DeclarationReflection, written: import("typedoc").SomeType }>} */
  const rows = new Map();

  app.renderer.on(PageEvent.END, (page) => {
    const entry = page.url === "README.md" ? "gorkflow" : `gorkflow/${page.url.replace(".md", "")}`;
    page.contents = page.contents?.replace(/^# .*/, `# ${entry}`);
  });

  app.converter.on(Converter.EVENT_CREATE_DECLARATION, (context, reflection) => {
    if (reflection.kind !== ReflectionKind.TypeAlias) return;
    const symbol = context.getSymbolFromReflection(reflection);
    const text = symbol?.declarations?.[0]?.getText() ?? "";
    if (symbol === undefined || !/\.\$infer(Select|Insert);?$/.test(text)) return;
    const type = context.checker.getDeclaredTypeOfSymbol(symbol);
    const written = app.converter.convertType(context.withScope(reflection), type);
    rows.set(shapeOf(written) ?? reflection.name, { reflection, written });
  });

  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    /** @param {import("typedoc").SomeType} type @returns {import("typedoc").SomeType} */
    const named = (type) => {
      const row = rows.get(shapeOf(type) ?? "")?.reflection;
      if (row !== undefined) return ReferenceType.createResolvedReference(row.name, row, project);
      if (type instanceof ArrayType) type.elementType = named(type.elementType);
      if (type instanceof UnionType || type instanceof IntersectionType) {
        type.types = type.types.map(named);
      }
      if (type instanceof ReferenceType) {
        const typeArguments = type.typeArguments?.filter((each) => shapeOf(each) !== "").map(named);
        if (typeArguments !== undefined) type.typeArguments = typeArguments;
      }
      return type;
    };
    const declared = new Set(Array.from(rows.values(), ({ reflection }) => reflection));
    // Between its creation and here the converter has given it the type as it is spelled.
    for (const { reflection, written } of rows.values()) reflection.type = written;
    for (const reflection of Object.values(project.reflections)) {
      for (const tag of reflection.comment?.blockTags ?? []) nameErrors(tag);
      if (
        "type" in reflection &&
        reflection.type &&
        !declared.has(/** @type {never} */ (reflection))
      ) {
        reflection.type = named(/** @type {import("typedoc").SomeType} */ (reflection.type));
      }
    }
  });
}

/**
 * The properties of an object type, which tell the rows of one table from those of another.
 *
 * @param {import("typedoc").SomeType} type
 */
function shapeOf(type) {
  if (!(type instanceof ReflectionType)) return undefined;
  const { children, signatures, indexSignatures } = type.declaration;
  if (signatures !== undefined || indexSignatures !== undefined) return undefined;
  const properties = (children ?? []).map(
    ({ name, flags }) => `${name}${flags.isOptional ? "?" : ""}`,
  );
  return properties.toSorted().join();
}

/**
 * Puts the names of all errors in front of what is said of them.
 *
 * @param {import("typedoc").CommentTag} tag
 */
function nameErrors(tag) {
  if (tag.tag !== "@throws" || tag.typeAnnotation === undefined) return;
  const names = [tag.typeAnnotation];
  const [first] = tag.content;
  if (first?.kind === "text") {
    const [others = ""] = /^(\s*\{\w+\})*\s*/.exec(first.text) ?? [];
    names.push(...(others.match(/\{\w+\}/g) ?? []));
    first.text = first.text.slice(others.length);
  }
  const list = names.map((name) => `\`${name.replaceAll(/[{}]/g, "")}\``).join(", ");
  tag.content.unshift({ kind: "text", text: `${list} ` });
}
