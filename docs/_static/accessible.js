// What scrolls can be scrolled with the keyboard, headings have a level, and landmarks of one kind have different names.
document.addEventListener("DOMContentLoaded", () => {
  for (const one of document.querySelectorAll("pre, .table-wrapper")) one.tabIndex = 0;
  for (const one of document.querySelectorAll('[role="heading"]')) one.setAttribute("aria-level", "2");
  const names = { "sidebar-drawer": "All pages", "toc-drawer": "On this page" };
  for (const [name, label] of Object.entries(names))
    for (const one of document.getElementsByClassName(name)) one.setAttribute("aria-label", label);
});
