// @ts-check
import {
  Application,
  ArrayType,
  Converter,
  IntersectionType,
  OptionDefaults,
  PageEvent,
  ReferenceType,
  ReflectionKind,
  ReflectionType,
  UnionType,
} from "typedoc";

/**
 * Changes what TypeDoc writes:
 *
 * - the errors of a comment are one list, with the classes in `@throws {RunNotFoundError} if …`
 * - a page has the name of its entry as its title
 * - types that are inferred from a table are written out where they are declared, and not where they are used
 * - the type of a table has no empty list of columns
 *
 * @param {import("typedoc").Application} app
 */
export function load(app) {
  /** @type {Map<string, { reflection: import("typedoc").DeclarationReflection, written: import("typedoc").SomeType }>} */
  const rows = new Map();

  // A comment that has to stay in the declarations, for the compiler of the app.
  app.on(Application.EVENT_BOOTSTRAP_END, () =>
    app.options.setValue("blockTags", [...OptionDefaults.blockTags, "@ts-ignore"]),
  );

  app.renderer.on(PageEvent.END, (page) => {
    const entry = page.url === "README.md" ? "gorkflow" : `gorkflow/${page.url.replace(".md", "")}`;
    page.contents = page.contents?.replace(/^# .*/, `# ${entry}`);
  });

  app.converter.on(Converter.EVENT_CREATE_DECLARATION, (context, reflection) => {
    if (reflection.kind !== ReflectionKind.TypeAlias) return;
    const symbol = context.getSymbolFromReflection(reflection);
    const text = symbol?.declarations?.[0]?.getText() ?? "";
    if (symbol === undefined || !/\.\$infer(Select|Insert)(, "\w+">)?;?$/.test(text)) return;
    const type = context.checker.getDeclaredTypeOfSymbol(symbol);
    const { aliasSymbol } = type;
    // TypeDoc would write the name itself for a type that has one, such as an `Omit`.
    type.aliasSymbol = undefined;
    const written = app.converter.convertType(context.withScope(reflection), type);
    if (aliasSymbol !== undefined) type.aliasSymbol = aliasSymbol;
    const shape = shapeOf(written);
    const isKnown = shape === undefined || rows.has(shape);
    rows.set(isKnown ? reflection.name : shape, { reflection, written });
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
    // The converter has replaced the type with the one in the source since the declaration was created.
    for (const { reflection, written } of rows.values()) reflection.type = written;
    for (const reflection of Object.values(project.reflections)) {
      if (reflection.comment !== undefined) listErrors(reflection.comment);
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
 * The properties of an object type. They distinguish the rows of the tables.
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
 * Makes one list of all errors of a comment.
 *
 * @param {import("typedoc").Comment} comment
 */
function listErrors(comment) {
  const [list, ...others] = comment.blockTags.filter(({ tag }) => tag === "@throws");
  if (list === undefined) return;
  list.content = [list, ...others].flatMap((tag) =>
    [{ kind: "text", text: `\n- ${namesIn(tag)}` }].concat(tag.content),
  );
  comment.blockTags = comment.blockTags.filter((tag) => !others.includes(tag));
}

/**
 * The names in `@throws {RunNotFoundError} {LeaseLostError} …`, which it removes from the text of the tag.
 *
 * @param {import("typedoc").CommentTag} tag
 */
function namesIn(tag) {
  if (tag.typeAnnotation === undefined) return "";
  const names = [tag.typeAnnotation];
  const [first] = tag.content;
  if (first?.kind === "text") {
    const [others = ""] = /^(\s*\{\w+\})*\s*/.exec(first.text) ?? [];
    names.push(...(others.match(/\{\w+\}/g) ?? []));
    first.text = first.text.slice(others.length);
  }
  return `${names.map((name) => `\`${name.replaceAll(/[{}]/g, "")}\``).join(", ")} `;
}
