//! A store under test, and a way to get fresh ones.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use service_core::{Access, Operations, Repository};

/// A store, as the suite uses it: empty, and migrated.
#[derive(Clone)]
pub struct Store {
    /// Where organizations are kept.
    pub repository: Arc<dyn Repository>,
    /// Who may do what.
    pub access: Arc<dyn Access>,
    /// What operators do.
    pub operations: Arc<dyn Operations>,
    // Only held: what must live as long as the store.
    _kept: Option<Arc<dyn Any + Send + Sync>>,
}

impl Store {
    /// A store that implements all three traits.
    pub fn new<S: Repository + Access + Operations>(store: S) -> Self {
        let store = Arc::new(store);
        Self {
            repository: Arc::<S>::clone(&store),
            access: Arc::<S>::clone(&store),
            operations: store,
            _kept: None,
        }
    }

    /// A store whose traits are implemented by different things.
    pub fn of_parts(
        repository: Arc<dyn Repository>,
        access: Arc<dyn Access>,
        operations: Arc<dyn Operations>,
    ) -> Self {
        Self { repository, access, operations, _kept: None }
    }

    /// The same store behind another repository: something wrapped around its own.
    #[must_use]
    pub fn with_repository(self, repository: Arc<dyn Repository>) -> Self {
        Self { repository, ..self }
    }

    /// The store, which keeps something until it is dropped: the directory of its files, a database that goes with it.
    #[must_use]
    pub fn keeping(self, kept: impl Any + Send + Sync) -> Self {
        Self { _kept: Some(Arc::new(kept)), ..self }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Store").field(&self.repository).finish()
    }
}

/// Makes fresh stores: each one empty and migrated, and nothing that happens in one is seen in another.
pub struct Fresh(Box<dyn Fn() -> Pin<Box<dyn Future<Output = Store> + Send>> + Send + Sync>);

impl Fresh {
    /// Fresh stores as this function makes them.
    pub fn new<Make, Made>(make: Make) -> Self
    where
        Make: Fn() -> Made + Send + Sync + 'static,
        Made: Future<Output = Store> + Send + 'static,
    {
        Self(Box::new(move || Box::pin(make())))
    }

    /// Another store.
    pub async fn store(&self) -> Store {
        (self.0)().await
    }
}

impl fmt::Debug for Fresh {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Fresh(…)")
    }
}
