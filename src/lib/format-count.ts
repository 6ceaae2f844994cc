/** With a comma at the thousands, as in `3,072`. */
export function countText(count: number): string {
  return Math.round(count).toLocaleString('en-US')
}
