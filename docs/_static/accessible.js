// What scrolls can be scrolled with the keyboard, headings have a level, landmarks of one kind have different names, and
// the page of the search has a heading before something was looked for.
document.addEventListener("DOMContentLoaded", () => {
  for (const one of document.querySelectorAll("pre, .table-wrapper")) one.tabIndex = 0;
  for (const one of document.querySelectorAll('[role="heading"]')) one.setAttribute("aria-level", "2");
  const results = document.getElementById("search-results");
  if (results && !document.querySelector("h1")) {
    const heading = document.createElement("h1");
    heading.textContent = "Search";
    results.before(heading);
    const words = document.createElement("p");
    words.textContent = "Type what you look for into the field beside or above the page.";
    if (!new URLSearchParams(location.search).get("q")) heading.after(words);
  }
  const names = { "sidebar-drawer": "All pages", "toc-drawer": "On this page" };
  for (const [name, label] of Object.entries(names))
    for (const one of document.getElementsByClassName(name)) one.setAttribute("aria-label", label);
});
