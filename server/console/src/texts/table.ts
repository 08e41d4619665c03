// Words of lists and tables.
export const table = {
  next: '下一行',
  previous: '上一行',
  nextInside: '表格内下一行',
  previousInside: '表格内上一行',
  open: '打开这一行',
  shown: (rows: number, more: boolean) => (more ? `已显示 ${rows} 条，还有更多` : `共 ${rows} 条`),
}
