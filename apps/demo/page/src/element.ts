/**
 * Makes elements: tag, properties, children. All text goes in as text, never as markup.
 */
type Properties<Tag extends keyof HTMLElementTagNameMap> = {
  readonly [
    Name in Exclude<keyof HTMLElementTagNameMap[Tag], 'attributes'>
  ]?: HTMLElementTagNameMap[Tag][Name]
}

export interface Attributes {
  /** What has no property: `aria-*`, `data-*`, `role`. */
  readonly attributes?: Readonly<Record<string, string>>
}

export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Properties<Tag> & Attributes = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const { attributes = {}, ...own } = properties
  const made = Object.assign(document.createElement(tag), own)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
  made.append(...children)
  return made
}

/** The element of the document that the page is built into. */
export function place(id: string): HTMLElement {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no #${id}`)
  return found
}
