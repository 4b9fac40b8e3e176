/**
 * Where the node is: who serves the page writes it into the document.
 */
export function nodeUrl(): string {
  const meta = document.querySelector<HTMLMetaElement>('meta[name="kv-url"]')
  return meta?.content ?? 'kv://127.0.0.1:7400'
}
